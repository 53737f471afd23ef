"""Every fact that travels between services. Importing this package registers all topics."""

from libs.contracts.accounts import *  # noqa: F403
from libs.contracts.bill_runs import *  # noqa: F403
from libs.contracts.bills import *  # noqa: F403
from libs.contracts.charges import *  # noqa: F403
from libs.contracts.fact import Fact, Record, all_facts
from libs.contracts.hub import *  # noqa: F403
from libs.contracts.on_demand import *  # noqa: F403
from libs.contracts.parked import *  # noqa: F403
from libs.contracts.usage import *  # noqa: F403
