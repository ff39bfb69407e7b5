// SPDX-License-Identifier: Apache-2.0
// Writes the inputs that fuzzing begins with: fuzz_seeds FOLDER
#include <cmath>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <onnx/onnx_pb.h>
#include <zlib.h>
#include <opencv2/imgcodecs.hpp>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/random.h"
#include "octconv/image/image.h"
#include "octconv/onnx/onnx.h"
#include "octconv/tensor/npy.h"
#include "onnx/models.h"
#include "support/jpeg_file.h"
#include "support/pth_file.h"

namespace octconv {
namespace {

void write_models(const std::filesystem::path& root) {
  for (std::size_t rank = 1; rank <= 3; ++rank) {
    for (const double alpha : {0.0, 0.5}) {
      Model model =
          onnx_test::model_of(octavize(onnx_test::small_graph(rank), {.alpha = alpha}).graph);
      model.preprocessing = {.mean = {0.5F, 0.25F}, .deviation = {0.25F, 1.0F}, .extents = {}};
      const std::string name = "rank" + std::to_string(rank) + (alpha > 0 ? "-octave" : "");
      const std::string bytes = export_onnx(model, {.extents = Shape::filled(rank, 9)});
      write_file(root / "onnx" / (name + ".onnx"), bytes);
      ::onnx::ModelProto file;
      file.ParseFromString(bytes);
      if (alpha == 0) {  // as others write it
        ::onnx::ModelProto plain = file;
        plain.clear_metadata_props();
        plain.clear_producer_name();
        write_file(root / "onnx" / (name + "-plain.onnx"), plain.SerializeAsString());
      }
      for (const auto& entry : file.metadata_props()) {
        if (entry.key() == "octconv.graph") {
          write_file(root / "metadata" / (name + ".json"), entry.value());
        }
      }
    }
  }
}

void write_arrays(const std::filesystem::path& folder) {
  Tensor tensor({2, 3, 4});
  for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.data()[i] = static_cast<float>(i);
  write_npy(folder / "float.npy", tensor);
  write_npy(folder / "scalar.npy", Tensor(Shape{}));
  const auto write = [&](const std::string& name, char version, const std::string& header,
                         std::size_t bytes) {
    std::string file = "\x93NUMPY";
    file += version;
    file += '\0';
    file += static_cast<char>(header.size());
    file += '\0';
    if (version > 1) file += std::string(2, '\0');
    write_file(folder / name, file + header + std::string(bytes, '\x01'));
  };
  int serial = 0;
  for (const char* type : {"|b1", "|u1", "<i2", ">i4", "<u8", "<f2", ">f4", "<f8"}) {
    const std::size_t size = static_cast<std::size_t>(type[2] - '0');
    const std::string order = ++serial % 2 == 0 ? "True" : "False";
    write("type" + std::to_string(serial) + ".npy", static_cast<char>(1 + serial % 3),
          "{'descr': '" + std::string(type) + "', 'fortran_order': " + order +
              ", 'shape': (2, 3), }\n",
          6 * size);
  }
}

void write_tensors(const std::filesystem::path& folder) {
  int serial = 0;
  for (const auto& [type, size] :
       {std::pair{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"BOOL", 1}}) {
    const std::string first = std::to_string(6 * size);
    const std::string header = R"({"__metadata__":{"format":"pt"},"conv1.weight":{"dtype":")" +
                               std::string(type) + R"(","shape":[2,3],"data_offsets":[0,)" + first +
                               R"(]},"scalar":{"dtype":"U8","shape":[],)" + R"("data_offsets":[)" +
                               first + "," + std::to_string(6 * size + 1) + "]}}";
    std::string file(1, static_cast<char>(header.size()));
    file += std::string(7, '\0');
    file += header + std::string(static_cast<std::size_t>(6 * size + 1), '\x01');
    write_file(folder / ("type" + std::to_string(++serial) + ".safetensors"), file);
  }
}

void write_state_dicts(const std::filesystem::path& folder) {
  using namespace examples;
  const std::string tensor = pickled_tensor("FloatStorage", "0", 1, {2, 3}, {1, 2});
  const std::string dict =
      pickled_dict({{"conv1.weight", tensor},
                    {"count", pickled_tensor("LongStorage", "1", 0, {}, {})},
                    {"half", pickled_tensor("HalfStorage", "1", 0, {2}, {2})}});
  const std::vector<std::pair<std::string, std::string>> storages{{"0", std::string(28, '\x01')},
                                                                  {"1", std::string(8, '\x02')}};
  write_file(folder / "plain.pth", pth(dict, storages));
  write_file(
      folder / "nested.pth",
      pth("}(" + pickled("epoch") + pickled(3) + pickled("state_dict") + dict + "u", storages));
}

std::string gzip(const std::string& bytes) {
  constexpr int kGzipFormat = 16;
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzipFormat, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  std::string packed(bytes.size() + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

void write_idx(const std::filesystem::path& folder) {
  const std::string labels = std::string("\0\0\x08\x01\0\0\0\x04", 8) + "\1\2\3\1";
  const std::string images =
      std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x03\0\0\0\x05", 16) + std::string(30, 'x');
  write_file(folder / "labels", labels);
  write_file(folder / "images", images);
  write_file(folder / "labels.gz", gzip(labels));
  write_file(folder / "images.gz", gzip(images));
}

void write_images(const std::filesystem::path& folder) {
  Random random(1);
  for (const int channels : {1, 3}) {
    cv::Mat picture(7, 9, CV_8UC(channels));
    for (int i = 0; i < picture.rows * picture.cols * channels; ++i) {
      picture.data[i] = static_cast<std::uint8_t>(random.below(256));
    }
    for (const char* kind : {".png", ".jpg", ".bmp", ".webp", ".pgm", ".ppm", ".tiff"}) {
      if (channels == (std::string(kind) == ".pgm" ? 3 : 0)) continue;
      if (channels == 1 && std::string(kind) == ".ppm") continue;
      std::vector<std::uint8_t> bytes;
      cv::imencode(kind, picture, bytes);
      write_file(folder / (std::to_string(channels) + kind),
                 {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
    // Several blocks each way, of which some are skipped.
    write_file(folder / (std::to_string(channels) + "blocks.jpg"),
               jpeg_file(noisy_picture(40, 70, channels, random),
                         {.colours = channels == 1 ? JCS_GRAYSCALE : JCS_RGB}));
  }
}

// What `octconv study` takes, and what trainings write.
void write_studies(const std::filesystem::path& folder) {
  write_file(folder / "study", R"({"about": "x", "data": "mnist", "size": 32, "network": "resnet20",
"seeds": [0, 7], "train": {"epochs": 3, "schedule": "onecycle", "step_epochs": [1, 2]},
"variants": [{"name": "a b"}, {"name": "c", "network": "resnet32", "alpha": 0.5,
"stride_mode": "pool", "exchange": "none", "downsample": "max", "low_to_high": "upsample_then_conv",
"zero_gamma": true, "train": {"flip": false}}]})");
  std::string lines;
  for (const char* epoch : {"1", "2"}) {
    lines += std::string(R"({"epoch":)") + epoch +
             R"(,"step":40,"learning_rate":0.1,"train_loss":0.5,"train_accuracy":0.75,)"
             R"("test_loss":null,"test_accuracy":0.5,"test_top5_accuracy":1.0,)"
             R"("images_per_second":1e3,"seconds":2.5,"time":1.8e9})"
             "\n";
  }
  write_file(folder / "history", lines);
}

}  // namespace
}  // namespace octconv

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: fuzz_seeds FOLDER\n";
    return 2;
  }
  try {
    const std::filesystem::path root = argv[1];
    for (const char* name :
         {"onnx", "metadata", "npy", "safetensors", "pth", "idx", "image", "study"})
      octconv::make_folder(root / name);
    octconv::write_models(root);
    octconv::write_arrays(root / "npy");
    octconv::write_tensors(root / "safetensors");
    octconv::write_state_dicts(root / "pth");
    octconv::write_idx(root / "idx");
    octconv::write_images(root / "image");
    octconv::write_studies(root / "study");
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
