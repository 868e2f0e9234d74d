"""How a PE multiplies: for each precision kind its modes, its operand words, and the part that makes products of them."""
