"""python -m services.tmf_gateway"""

from services.tmf_gateway.service import GatewaySettings, build

build(GatewaySettings()).run()
