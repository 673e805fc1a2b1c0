"""
The promise "no committed upload is ever lost", shown with real processes and real faults.

``tests/faults/run`` explains itself. From the outside in: ``__main__`` (one run, from its
arguments to its table), ``harness`` (what runs, and when), ``chaos`` (the faults), ``stream`` (the
people who post), ``others`` (other code that writes the same rows), ``engines``, ``processes`` and
``proxy`` (what all that runs on), ``orders`` (how the harness and the processes talk), ``columns``
(what the ledger says that each column should hold), ``audit`` and ``table`` (what came of it), and
``site`` (the Django project under test).
"""
