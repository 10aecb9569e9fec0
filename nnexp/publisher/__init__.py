"""The companion process of a trainer: it describes and publishes the runs of that, and answers for the store.

    python -m nnexp.publisher DESCRIPTOR [standby]

Its standard input is a pipe that closes with the trainer, and begins with a line of settings; `standby` says that they
come later, and MLflow is imported meanwhile. DESCRIPTOR is of the connection by which calls are answered.

It finds on the disk what there is to do: the runs of its trainer are in the backlog, and their directories say more.

    .claim is asked                     claim the job in the store             (thread "claim")
    no result                           publish the history as it grows        (thread "publish")
    .draw is asked                      describe the run: reports, figures     (thread "draw")
    a result, described                 publish it to its end, and take it out of the backlog ("publish")

Each step can be repeated, so a companion that is killed is just started again. It has a thread for each, so that no
claim and no curve waits for a figure, and one for the heartbeat. When the trainer is gone, what it left open is closed
with a true status.
"""
