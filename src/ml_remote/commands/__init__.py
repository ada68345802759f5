"""The commands of `lab`: their options and help; the work is done by what each of them imports."""
