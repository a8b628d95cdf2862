"""The SSH driver: functions on the operator's own machines.

connection.py speaks SSH, session.py exchanges calls and answers, link.py keeps a session a machine,
vim.py is the VIM. Signing in is by the platform's own key (keys.py) alone.
"""
