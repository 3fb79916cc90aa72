"""Engine: the pipeline. It knows no filter and no kernel."""
