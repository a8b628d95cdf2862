"""The seeded fault run of the control plane: one seed decides all that happens to it.

In: a seed. Out: an Outcome, with what happened and which invariants broke. `plan` draws the steps,
`steps` does them, `platform` is the product on its fakes, `world` what is around it, `channels` the
way between both, `people` viewers and encoders, `checkers` the invariants; `run` plays it all on
virtual time. See docs/howto/replay-a-fault.md.
"""
