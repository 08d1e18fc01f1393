"""The char-RNN: learning a text character by character, writing on in its voice, scoring, looking inside."""
