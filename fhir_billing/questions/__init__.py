"""What a bill needs and only a clinician knows becomes a question; one kind of question, one file, found by folder."""
