"""One module per step, named ``vNNNN_what_it_does`` after its revision."""
