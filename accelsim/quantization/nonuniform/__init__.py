"""Weights on levels that are not evenly spaced, and how the PEs execute them (survey, arXiv 2103.13630, III-F, IV-E, IV-F).

=======================  ============================================  ===========================  ======================
module                   levels                                        PE kind                      lost in lowering
=======================  ============================================  ===========================  ======================
`power_of_two`           0 and +-s * 2^e                               shift_add                    nothing
`additive_powers`        0 and +-s * (a sum of powers of two)          codebook; shift_add by term  nothing
`binary`                 +-a, one a a channel or a tensor              binary                       channels of zeros
`ternary`                0 and +-a                                     ternary                      nothing
`binary_code`            sum of +-a_i, n bits                          codebook; binary by plane    entries are rounded
`codebook`               2^b centroids of the weights                  codebook                     entries are rounded
`product_quantization`   2^b centroids of vectors of neighbours        codebook                     entries are rounded
=======================  ============================================  ===========================  ======================

Each class has `fit(weights, ...)` and is then a `CodedWeights`: the codes that are stored, what they stand for, their
error, and `lower()`, the integers for the machine. Weights are (G, N, K), as a `GridKernel` has them.
"""
