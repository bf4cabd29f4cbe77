"""A log folder as TensorBoard's own plugins read it, without the server."""

import json

from tensorboard import context
from tensorboard.backend.event_processing.data_provider import (
    MultiplexerDataProvider,
)
from tensorboard.backend.event_processing.plugin_event_multiplexer import (
    EventMultiplexer,
)
from tensorboard.plugins import base_plugin
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import (
    CustomScalarsPlugin,
)
from tensorboard.plugins.distribution.distributions_plugin import (
    DistributionsPlugin,
)
from tensorboard.plugins.histogram.histograms_plugin import HistogramsPlugin
from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin
from tensorboard.plugins.text.text_plugin import TextPlugin

RUN = "activations"
NONE = context.RequestContext()


class Board:
    """A folder as TensorBoard's own plugins read it."""

    def __init__(self, log_dir):
        # 0 keeps everything; the default keeps a random sample.
        multiplexer = EventMultiplexer(size_guidance={"tensors": 0})
        multiplexer.AddRunsFromDirectory(str(log_dir))
        multiplexer.Reload()
        provider = MultiplexerDataProvider(multiplexer, str(log_dir))
        page = base_plugin.TBContext(data_provider=provider, logdir=str(log_dir))
        self._scalars = ScalarsPlugin(page)
        self._histograms = HistogramsPlugin(page)
        page.plugin_name_to_instance = {"scalars": self._scalars}
        self._distributions = DistributionsPlugin(page)
        self._texts = TextPlugin(page)
        self._custom = CustomScalarsPlugin(page)

    def tags(self, kind, run=RUN):
        plugin = {"scalars": self._scalars, "histograms": self._histograms}[kind]
        return set(plugin.index_impl(NONE, experiment="").get(run, {}))

    def runs(self):
        return set(self._scalars.index_impl(NONE, experiment=""))

    def scalar(self, tag, run=RUN):
        """Pairs of step and value."""
        events, _ = self._scalars.scalars_impl(NONE, tag, run, "", None)
        return [(step, value) for _, step, value in events]

    def histogram(self, tag, run=RUN):
        """Pairs of step and rows of left, right, count."""
        events, _ = self._histograms.histograms_impl(NONE, tag, run, experiment="")
        return [(step, bins) for _, step, bins in events]

    def distribution(self, tag):
        events, _ = self._distributions.distributions_impl(NONE, tag, RUN, "")
        return [(step, curve) for _, step, curve in events]

    def text(self, tag):
        """Pairs of step and HTML."""
        events = self._texts.text_impl(NONE, RUN, tag, "", enable_markdown=True)
        return [(event["step"], event["text"]) for event in events]

    def charts(self):
        """Dict of chart title to the tags it shows."""
        layout = json.loads(self._custom.layout_impl(NONE, ""))
        charts = {}
        for category in layout["category"]:
            for chart in category["chart"]:
                [regex] = chart["multiline"]["tag"]
                found = self._custom.scalars_impl(NONE, RUN, regex, "")
                charts[chart["title"]] = set(found["tag_to_events"])
        return charts
