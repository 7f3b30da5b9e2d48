"""Learning-rate schedule and the optax chain."""

import optax

from fusejax.config import OptimConfig


def make_schedule(config: OptimConfig, steps: int) -> optax.Schedule:
    """Linear warm-up, then half a cosine from `learning_rate` to `final_learning_rate` at the last step."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0 if config.warmup_steps else config.learning_rate,
        peak_value=config.learning_rate,
        warmup_steps=config.warmup_steps,
        decay_steps=max(steps, config.warmup_steps + 1),
        end_value=config.final_learning_rate,
    )


def make_optimizer(config: OptimConfig, schedule: optax.Schedule) -> optax.GradientTransformation:
    """Clip by global norm, then Adam (no weight decay)."""
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.adam(schedule))
