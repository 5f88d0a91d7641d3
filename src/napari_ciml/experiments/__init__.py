"""What can be made and measured without a patient: phantoms."""
