"""What published months were worth: read through their manifests, evaluated, and published in turn."""
