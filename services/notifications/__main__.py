"""Run notifications as a process: `python -m services.notifications`."""

from services.notifications.service import NotificationsSettings, build

if __name__ == "__main__":
    build(NotificationsSettings()).run()
