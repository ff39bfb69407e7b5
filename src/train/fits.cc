// SPDX-License-Identifier: Apache-2.0
#include "train/fits.h"

#include <string>

#include "octconv/base/error.h"

namespace octconv::train {

void check_fits(const Graph& graph, const Dataset& data, const TrainOptions& options) {
  const auto fail = [&](const std::string& why) {
    throw InvalidArgument("train: network '" + graph.name() + "' and data set '" + data.name +
                          "': " + why);
  };
  const std::vector<std::int64_t> extents = data.train.extents();
  if (graph.rank() != extents.size()) {
    fail("the network has rank " + std::to_string(graph.rank()) + ", " +
         (data.train.are_clips() ? "clips" : "images") + " have " + std::to_string(extents.size()));
  }
  if (graph.inputs().size() != 1 || graph.outputs().size() != 1)
    fail("the network needs one input and one output");
  if (graph.node(graph.outputs()[0]).spatial)
    fail("the network's output has extents, classes have none");
  const std::int64_t channels = graph.node(graph.inputs()[0]).channels.total();
  if (channels != data.train.channels) {
    fail("the network takes " + std::to_string(channels) + " channels, the images have " +
         std::to_string(data.train.channels));
  }
  if (data.test.channels != data.train.channels || data.test.extents() != extents) {
    fail("training and test images differ in size");
  }
  if ((options.colour_jitter > 0 || options.colour_noise > 0) && channels != 3) {
    fail("colours cannot be varied in images of " + std::to_string(channels) + " channels");
  }
  if (options.train_images > data.train.count()) {
    fail("train_images is " + std::to_string(options.train_images) + ", there are " +
         std::to_string(data.train.count()));
  }
  // Names the node at which images of this size become too small.
  static_cast<void>(infer_shapes(graph, 1, Shape(extents)));
}

}  // namespace octconv::train
