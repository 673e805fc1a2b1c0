"""
Tests the promise "no committed upload is ever lost" with real processes and real faults.

``tests/faults/run`` explains itself. The modules, from the outside in: ``__main__`` (a run from its
arguments to its table), ``harness`` (the processes and the schedule), ``chaos`` and ``draft_chaos``
(the faults), ``stream`` and ``early`` (the users who post, and their drafts), ``others`` (other
code that writes the same rows), ``engines``, ``processes`` and ``proxy`` (the servers), ``orders``
(how the harness talks to the processes), ``columns`` (the expected state of each column),
``audit``, ``draft_audit`` and ``table`` (the results), and ``site`` (the Django project under
test).
"""
