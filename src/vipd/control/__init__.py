"""What should be in force, and the way there from what is. Pure: values in, values out."""

from vipd.control.desired import desired
from vipd.control.environment import environment
from vipd.control.plan import describe, plan

__all__ = ["describe", "desired", "environment", "plan"]
