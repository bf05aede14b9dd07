"""What training recurrent networks takes and torch lacks (needs torch; torch's layers, too).

`TruncatedBPTT`
    Windows of long sequences, with the state carried from one to the next and gradients cut.
`detach_state`
    The state alone: h, (h, c), nested, or None.
`init_forget_gate_`, `init_orthogonal_`
    Initial weights through which gradients last.

Gradients are clipped by ``torch.nn.utils.clip_grad_norm_``.
"""

from __future__ import annotations

from fastrnn.utils._initial import init_forget_gate_, init_orthogonal_
from fastrnn.utils._truncated import TruncatedBPTT, Window, detach_state

__all__ = ["TruncatedBPTT", "Window", "detach_state", "init_forget_gate_", "init_orthogonal_"]
