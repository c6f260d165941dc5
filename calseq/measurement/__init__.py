"""What a step measured: read, figured, judged, compared, drawn (`plots/`)."""
