"""Range setters: from values to the clipping range of their grid (survey, arXiv 2103.13630, III-C, III-D; white paper 3.1).

===============  ==========================================================  =====================  =========================
name             range                                                       kept of the data       source
===============  ==========================================================  =====================  =========================
min_max          the extremes                                                2 numbers a unit       white paper eq. 14, 15
moving_average   averages of the batches' extremes, later ones weigh more    2 numbers a unit       arXiv 1712.05877, 3.1
percentile       all but a share of the values                               a histogram a unit     survey III-C
mse              the least squared error, on a grid or by golden section     a histogram a unit     white paper eq. 16
omse             the least squared error, scale fitted to its integers       a histogram a unit     arXiv 1902.06822
kl_divergence    the least loss of information                               a histogram a unit     Migacz, GTC 2017
cross_entropy    the softmax that changes least; of logits                   a sample of rows       white paper eq. 17
aciq             analytic, for a Gauss or Laplace distribution               a few sums a unit      arXiv 1810.05723
bn_statistics    beta +- alpha gamma; without data                           nothing                white paper eq. 18, 19
===============  ==========================================================  =====================  =========================

A `RangeSetter` is a frozen choice of method and options: ``setters.range_setter("mse", {"steps": 200})``. Its `observer`
takes batches, its `range_of` one tensor; both give the low and the high end for each unit of the scheme's granularity, in
the shape of the scales, and `Scheme.qparams` makes the grid of them.
"""
