"""The CUDA engine beside torch's layers on cuDNN: whole layers, all their products included.

``shapes``: what is measured and what is hoped for; ``measure``: one shape; ``report``: tables;
``command``: the options of ``bench/gpu.py``.
"""
