r"""Formulas of all loss terms and metrics in LaTeX.

F is the fused luma, I the infrared image, V the visible luma, R the fine-grained reference, S one
of the two sources; G_X the Sobel gradient of X, g its L1 norm |Kx * X| + |Ky * X|, n its smooth
norm; <.> is the mean over all pixels.
"""

LOSSES = {
    "reference_intensity": r"\langle |F - R| \rangle",
    "square_intensity": r"\langle (F - R)^2 \rangle",
    "maximum_intensity": r"\langle |F - \max(I, V)| \rangle",
    "ssim": r"1 - \tfrac12 \big(\mathrm{SSIM}(F, I) + \mathrm{SSIM}(F, V)\big)",
    "joint_gradient": r"\big\langle |\, g(F) - \max(g(I), g(V)) \,| \big\rangle",
    "axiswise_gradient": r"\sum_{a \in \{x, y\}} \big\langle \big|\, |K_a * F| - \max(|K_a * I|, |K_a * V|) \,\big| \big\rangle",
    "signed_sum_gradient": r"\langle |d(F) - d(S^*)| \rangle,\quad d(X) = k_x * X + k_y * X,\quad S^* = \arg\max_S |d(S)|",
    "direction_aware_gradient": r"\sum_s w_s \big( \langle |\partial_x F_s - t_x| \rangle + \langle |\partial_y F_s - t_y| \rangle \big),"
    r"\quad t_a = \partial_a S^*_s,\ S^* = \arg\max_S |\partial_a S_s|",
    "angle_magnitude": r"\langle |\, n(G_F) - n(G_{S^*}) \,| \rangle,\quad S^* = \arg\max_S |G_S|",
    "angle_direction": r"\langle v\, (1 - \cos(G_F, G_{S^*})) \rangle,\quad v = |G_{S^*}| / (\langle |G_{S^*}| \rangle + 10^{-3})",
    "reference_magnitude": r"\langle |\, n(G_F) - n(G_R) \,| \rangle",
    "reference_direction": r"\langle v\, (1 - \cos(G_F, G_R)) \rangle,\quad v = |G_R| / (\langle |G_R| \rangle + 10^{-3})",
    "decomposition": r"\frac{\mathrm{cc}(D_I, D_V)^2}{1.01 + \mathrm{cc}(B_I, B_V)}",
    "consistency": r"\big\langle (C - G_\sigma * C)^2 \big\rangle,\quad C = \mathrm{crop}(F),\ \sigma \sim U(0.1, 5)",
    "reconstruction": r"R(V, \hat V) + R(I, \hat I) + 5 \langle |s(V) - s(\hat V)| \rangle,\quad R = 5\,\mathrm{DSSIM} + \mathrm{MSE},\ s = g / 8",
    "target_aware": r"\frac{\sum M\, \big(|F - T| + |g(F) - \max(g(I), g(V))|\big)}{\sum M + 1}",
    "qabf": r"1 - Q^{AB/F}",
    "metric_ssim": r"1 - \tfrac12 \big(\mathrm{SSIM}_{7 \times 7}(F, I) + \mathrm{SSIM}_{7 \times 7}(F, V)\big)",
    "scd": r"1 - \tfrac12 \big(r(F - V, I) + r(F - I, V)\big)",
    "vif": r"1 - \tfrac12 \big(\mathrm{VIF}(F, I) + \mathrm{VIF}(F, V)\big)",
    "chosen_bands": r"\sum_k \langle w_k\, |D_k(F) - D_k^*| \rangle,\quad D_k\ \text{a band of detail},\ D_k^*\ \text{the wanted one}",
    "kept_contrast": r"1 - \frac{\sum \text{wanted contrast that } F \text{ keeps}}{\sum \text{wanted contrast}}",
    "glare_contrast": r"\frac{\sum_k \langle g\, |D_k(F) - D_k^*| \rangle}{\sum_k \langle g\, |D_k(I)| \rangle},\quad g\ \text{near hot objects in a blown-out light}",
    "flat_texture": r"\sqrt{\langle D(F)^2 \rangle}\ \text{where } V \text{ is flat}",
    "resolved_base": r"\langle (G_\sigma * F - B^*)^2 \rangle,\quad B^*\ \text{the wanted base}",
    "undershoot": r"\langle \max(L - G_1 * F,\, 0) \rangle,\quad L\ \text{the darkest that the pair allows}",
    "tolerant_maximum": r"\min_{|s| \le r} \langle |F - \max(I_s, V)| \rangle,\quad I_s\ \text{shifted by } s",
    "tolerant_gradient": r"\min_{|s| \le r} \big\langle |\, g(F) - \max(g(I_s), g(V)) \,| \big\rangle",
}

METRICS = {
    "EN": r"-\sum_l p_F(l) \log_2 p_F(l)",
    "SD": r"\sqrt{\langle (F - \langle F \rangle)^2 \rangle}",
    "SF": r"\sqrt{\langle (\Delta_x F)^2 \rangle + \langle (\Delta_y F)^2 \rangle}",
    "AG": r"\Big\langle \sqrt{\tfrac12 \big((\Delta_x F)^2 + (\Delta_y F)^2\big)} \Big\rangle",
    "EI": r"\langle |G_F| \rangle",
    "MI": r"I(F; I) + I(F; V)",
    "NMI": r"\sum_S \frac{2\, I(F; S)}{H(F) + H(S)}",
    "CE": r"\tfrac12 \sum_S \sum_l p_S(l) \log_2 \frac{p_S(l)}{p_F(l)}",
    "FMI_pixel": r"\tfrac12 \sum_S \Big\langle \frac{2\, I_{3 \times 3}(F; S)}{H_{3 \times 3}(F) + H_{3 \times 3}(S)} \Big\rangle"
    r"\ \text{of gray levels}",
    "FMI_gradient": r"\tfrac12 \sum_S \Big\langle \frac{2\, I_{3 \times 3}(F; S)}{H_{3 \times 3}(F) + H_{3 \times 3}(S)} \Big\rangle"
    r"\ \text{of gradients}",
    "CC": r"\tfrac12 \big(r(F, I) + r(F, V)\big)",
    "PSNR": r"10 \log_{10} \frac{255^2}{\mathrm{MSE}}",
    "MSE": r"\tfrac12 \big(\langle (F - I)^2 \rangle + \langle (F - V)^2 \rangle\big)",
    "RMSE": r"\sqrt{\mathrm{MSE}}",
    "SCD": r"r(F - V, I) + r(F - I, V)",
    "VIF": r"\tfrac12 \sum_S \frac{\sum_{k, p} \log_2\!\big(1 + g^2 \sigma_S^2 / (\sigma_v^2 + 2)\big)}"
    r"{\sum_{k, p} \log_2\!\big(1 + \sigma_S^2 / 2\big)}",
    "VIFF": r"\frac{1}{2.15} \sum_k w_k \frac{\sum_p \mathrm{VID}_k}{\sum_p \mathrm{VIND}_k},\quad w = (1, 0, 0.15, 1)",
    "Qabf": r"\frac{\sum_p \big(Q^{IF} |G_I| + Q^{VF} |G_V|\big)}{\sum_p \big(|G_I| + |G_V|\big)},\quad Q^{SF} = Q_g^{SF} Q_\alpha^{SF}",
    "Nabf": r"\frac{\sum_{p \in A} \big((1 - Q^{IF}) w_I + (1 - Q^{VF}) w_V\big)}{\sum_p (w_I + w_V)},"
    r"\quad A = \{|G_F| > |G_I|, |G_V|\}",
    "Qcb": r"\langle \lambda_I Q_{IF} + \lambda_V Q_{VF} \rangle,\quad Q_{SF} = \frac{\min(C_S, C_F)}{\max(C_S, C_F)}",
    "Qcv": r"\frac{\sum_{S, b} \lambda(S_b)\, \langle (\mathrm{CSF} * (S_b - F_b))^2 \rangle}{\sum_{S, b} \lambda(S_b)}",
    "SSIM": r"\tfrac12 \sum_S \Big\langle \frac{(2 \mu_F \mu_S + c_1)(2 \sigma_{FS} + c_2)}"
    r"{(\mu_F^2 + \mu_S^2 + c_1)(\sigma_F^2 + \sigma_S^2 + c_2)} \Big\rangle",
    "MS-SSIM": r"\tfrac12 \sum_S \prod_{k < 5} \overline{cs}_k^{\,\beta_k} \cdot \overline{ssim}_5^{\,\beta_5}",
    "CD": r"\big\langle \angle(\mathrm{RGB}_F, \mathrm{RGB}_V) \big\rangle",
}

TEMPORAL = {
    "flicker": r"\langle |(c' - c)\, f| \rangle_{\text{static}}",
    "static": r"\langle |F' - F| \rangle_{\text{static}}",
    "WE": r"\tfrac12 \sum_S \langle |F' - \mathrm{warp}_S(F)| \rangle_{\text{consistent}}",
    "flowD": r"\langle \| F'_{RGB} - \mathrm{warp}_V(F_{RGB}) \| \rangle",
    "BiSWE": r"\sum_{\pm} \langle |F - \mathrm{warp}_F(F_{\pm})| \rangle_{\text{consistent}}",
    "MS2R": r"\tfrac12 \sum_S \langle |D(F) - D(S)| \rangle,\quad D = \text{second difference of the flow}",
}
