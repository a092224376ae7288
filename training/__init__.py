"""How the model of the content scorer is made: data, training, evaluation; and the scorer again, in plain Python."""
