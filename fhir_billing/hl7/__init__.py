"""HL7 v2 as hospitals speak it: messages ⇄ what we need of them, pure. Spec: HL7 v2.5.1 ADT, DFT, ACK."""
