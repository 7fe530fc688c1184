"""The store keeps what arrived, what was decided and what must leave; it decides nothing itself."""
