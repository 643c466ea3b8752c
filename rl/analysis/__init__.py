"""From recorded runs to statements with intervals. No torch here."""
