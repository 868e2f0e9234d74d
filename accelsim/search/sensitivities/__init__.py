"""How much a width costs in accuracy: one measure a module, each a cost that adds up over layers and tensors."""
