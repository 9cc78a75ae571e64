"""One screen, no scrolling: what is it, what has it, and how do I stop it?"""

from pages.widgets import kill, panic

kill.control_on_narrow_screens()
panic.screen()
