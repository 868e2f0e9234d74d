"""What layers off the PE grid compute, operator by operator, and the functions that they are made of."""
