// SPDX-License-Identifier: Apache-2.0
#include "dnnl_conv.h"

#if OCTCONV_HAVE_DNNL
#include <cstring>
#include <vector>

#include <dnnl.hpp>

namespace {

using dnnl::memory;

class Conv : public DnnlConv {
 public:
  Conv(const octconv::ConvOptions& o, const octconv::Shape& extents) {
    const memory::dims strides(o.stride.begin(), o.stride.end());
    const memory::dims begin(o.padding_begin.begin(), o.padding_begin.end());
    const memory::dims end(o.padding_end.begin(), o.padding_end.end());
    memory::dims src{1, o.in.high};
    memory::dims dst{1, o.out.high};
    memory::dims weights{o.out.high, o.in.high / o.groups};
    if (o.groups > 1) weights = {o.groups, o.out.high / o.groups, o.in.high / o.groups};
    const octconv::Shape out = octconv::output_extents(o, extents);
    src.insert(src.end(), extents.begin(), extents.end());
    dst.insert(dst.end(), out.begin(), out.end());
    weights.insert(weights.end(), o.kernel.begin(), o.kernel.end());
    const dnnl::convolution_forward::desc desc(dnnl::prop_kind::forward_inference,
                                               dnnl::algorithm::convolution_direct, any(src),
                                               any(weights), any(dst), strides, begin, end);
    const dnnl::convolution_forward::primitive_desc chosen(desc, engine_);
    conv_ = dnnl::convolution_forward(chosen);
    arguments_ = {{DNNL_ARG_SRC, filled(chosen.src_desc())},
                  {DNNL_ARG_WEIGHTS, filled(chosen.weights_desc())},
                  {DNNL_ARG_DST, filled(chosen.dst_desc())}};
  }

  void run() override {
    conv_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  static memory::desc any(const memory::dims& dims) {
    return {dims, memory::data_type::f32, memory::format_tag::any};
  }
  // No number is denormal: those are slow.
  memory filled(const memory::desc& desc) {
    memory result(desc, engine_);
    auto* values = static_cast<float*>(result.get_data_handle());
    for (std::size_t i = 0; i < desc.get_size() / sizeof(float); ++i)
      values[i] = 0.25F + static_cast<float>(i % 7);
    return result;
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::convolution_forward conv_;
  std::unordered_map<int, memory> arguments_;
};

}  // namespace

std::unique_ptr<DnnlConv> make_dnnl_conv(const octconv::ConvOptions& options,
                                         const octconv::Shape& extents) {
  return std::make_unique<Conv>(options, extents);
}

std::string dnnl_description() {
  const dnnl_version_t* version = dnnl_version();
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch) + ", its own layouts, no Winograd";
}
#else
std::unique_ptr<DnnlConv> make_dnnl_conv(const octconv::ConvOptions& /*options*/,
                                         const octconv::Shape& /*extents*/) {
  return nullptr;
}

std::string dnnl_description() {
  return "without oneDNN (libdnnl-dev)";
}
#endif
