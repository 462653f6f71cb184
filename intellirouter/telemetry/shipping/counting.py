"""What shipping says of itself to Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from intellirouter.telemetry.shipping.handler import running


class ShippingCollector(Collector):
    """Lines by where they go: those of the process's shipping, whichever runs when it is asked."""

    def collect(self) -> Iterator[Metric]:
        """The families as they stand; none where nothing is shipped."""
        shipping = running()
        if shipping is None:
            return
        lines = CounterMetricFamily(
            "intellirouter_log_lines_shipped",
            "Log lines by where they go and what became of them",
            labels=("to", "result"),
        )
        waiting = GaugeMetricFamily(
            "intellirouter_log_lines_waiting", "Log lines that wait to be sent", labels=("to",)
        )
        for outlet in shipping.outlets:
            lines.add_metric((outlet.name, "sent"), outlet.counts.sent)
            lines.add_metric((outlet.name, "dropped"), outlet.counts.dropped)
            lines.add_metric((outlet.name, "refused"), outlet.counts.refused)
            waiting.add_metric((outlet.name,), outlet.waiting)
        yield lines
        yield waiting
