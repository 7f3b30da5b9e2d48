"""The table of metrics of videos, one value per transition: `fusejax.metrics.evaluate_video`."""

from fusejax.metrics.table import MetricInfo

TEMPORAL_METRICS: dict[str, MetricInfo] = {
    "flicker": MetricInfo(
        title="change of the local mix of the sources in static regions",
        family="temporal",
        values="0 and up, levels",
        better="lower",
        source="our own",
        undefined="no region is static",
    ),
    "static": MetricInfo(
        title="change of the fused luma in static regions",
        family="temporal",
        values="0..255 levels",
        better="lower",
        source="our own",
        undefined="no region is static",
    ),
    "WE": MetricInfo(
        title="warping error by the flow of the sources",
        family="temporal",
        values="0..255 levels",
        better="lower",
        source="Lai et al. 2018; absolute values, both sources",
        undefined="the flow is consistent nowhere",
    ),
    "flowD": MetricInfo(
        title="warping error in RGB by the flow of the visible video",
        family="temporal",
        values="0..442 levels",
        better="lower",
        source="Gong et al. 2025, TemCoCo's code",
    ),
    "BiSWE": MetricInfo(
        title="bi-directional self-warping error",
        family="temporal",
        values="0..510 levels",
        better="lower",
        source="Zhao et al. 2025, UniVF's code",
        undefined="there is no third frame",
    ),
    "MS2R": MetricInfo(
        title="motion smoothness with dual reference videos",
        family="temporal",
        values="0 and up, pixels",
        better="lower",
        source="Zhao et al. 2025, UniVF's code",
        undefined="there is no third frame",
    ),
}
