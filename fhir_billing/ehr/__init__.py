"""The EHR as an adapter: reading, listening, writing back; what differs between EHRs lives in quirks, one file each."""
