"""The contract with plugins: what authors implement, how they are found, the kit that tests them."""
