# SPDX-License-Identifier: GPL-3.0-or-later
"""The real architectures of SAM 3 and SAM 2.1 with random weights, small enough for tests.

Everything that the stages load is saved to a folder and read back by the real loading code. The
weights mean nothing: what they find are blobs, the same ones each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPTokenizer,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam3ImageProcessor,
    Sam3VideoConfig,
    Sam3VideoModel,
    Sam3VideoProcessor,
)
from transformers.models.sam2.image_processing_sam2 import Sam2ImageProcessor
from transformers.models.sam2_video.video_processing_sam2_video import (
    Sam2VideoVideoProcessor,
)

IMAGE = 112
_PATCH = 14
_HIDDEN = 128
_MEMORY = 64
"""Channels of a memory; the model's code has them as a number."""
_LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


def save_sam3(folder: Path, **settings: Any) -> Path:
    """A folder as facebook/sam3 is one. `settings` go to the video model's configuration."""
    torch.manual_seed(7)
    model = Sam3VideoModel(Sam3VideoConfig.from_dict(_sam3_config() | settings))
    _keep_seeing(model.tracker_model)
    model.save_pretrained(folder)
    _sam3_processor().save_pretrained(folder)
    return folder


def _keep_seeing(tracker: Any) -> None:
    """Makes the tracker sure that its objects are there; by chance it is not."""
    with torch.no_grad():
        tracker.mask_decoder.pred_obj_score_head.proj_out.bias += 5


def _sam3_config() -> dict[str, Any]:
    grid = IMAGE // _PATCH
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": IMAGE,
            "patch_size": _PATCH,
            "pretrain_image_size": IMAGE,
            "window_size": 4,
            "global_attn_indexes": [1],
        },
        "fpn_hidden_size": _HIDDEN,
        "backbone_feature_sizes": [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
    }
    small = {"hidden_size": _HIDDEN, "intermediate_size": 64, "num_attention_heads": 2}
    detector = {
        "model_type": "sam3",
        "vision_config": vision,
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": 64,
            "hidden_size": 32,
            "intermediate_size": 32,
            "projection_dim": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
        },
        "geometry_encoder_config": small | {"num_layers": 1},
        "detr_encoder_config": small | {"num_layers": 1},
        "detr_decoder_config": small | {"num_layers": 1, "num_queries": 6},
        "mask_decoder_config": {"hidden_size": _HIDDEN, "num_attention_heads": 2},
    }
    tracker = {
        "model_type": "sam3_tracker_video",
        "vision_config": vision,
        "image_size": IMAGE,
        "prompt_encoder_config": {"hidden_size": _HIDDEN, "image_size": IMAGE},
        **_memory(_HIDDEN),
    }
    return {
        "detector_config": detector,
        "tracker_config": tracker,
        "low_res_mask_size": 4 * grid,
        "score_threshold_detection": 0.1,
        "new_det_thresh": 0.2,
    }


def _memory(hidden: int) -> dict[str, Any]:
    """The parts that SAM 2.1's tracker and SAM 3's have in common."""
    return {
        "mask_decoder_config": {
            "hidden_size": hidden,
            "mlp_dim": 64,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 64,
        },
        "memory_attention_hidden_size": hidden,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 64,
        "memory_encoder_hidden_size": hidden,
        "memory_encoder_output_channels": _MEMORY,
        "mask_downsampler_embed_dim": hidden,
        "memory_fuser_num_layers": 1,
        "memory_fuser_embed_dim": hidden,
        "memory_fuser_intermediate_dim": 64,
    }


def _sam3_processor() -> Sam3VideoProcessor:
    size = {"height": IMAGE, "width": IMAGE}
    masks = {"height": 4 * IMAGE // _PATCH, "width": 4 * IMAGE // _PATCH}
    return Sam3VideoProcessor(
        image_processor=Sam3ImageProcessor(size=size, mask_size=masks),
        video_processor=Sam2VideoVideoProcessor(
            size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3
        ),
        tokenizer=_tokenizer(),
    )


def _tokenizer() -> CLIPTokenizer:
    words = ["<|startoftext|>", "<|endoftext|>", *_LETTERS, *(f"{each}</w>" for each in _LETTERS)]
    return CLIPTokenizer(vocab={word: place for place, word in enumerate(words)}, merges=[])


def save_sam2(folder: Path) -> Path:
    """A folder as facebook/sam2.1-hiera-tiny is one."""
    torch.manual_seed(9)
    side = 128
    config = {
        "vision_config": {
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 16,
                "num_attention_heads": 1,
                "image_size": [side, side],
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [16, 32, 64, 128],
                "num_attention_heads_per_stage": [1, 2, 4, 8],
                "window_size_per_stage": [8, 4, 8, 4],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [128, 64, 32, 16],
            "backbone_feature_sizes": [[side // 4] * 2, [side // 8] * 2, [side // 16] * 2],
            "fpn_hidden_size": _HIDDEN,
        },
        "prompt_encoder_config": {"hidden_size": _HIDDEN, "image_size": side},
        "image_size": side,
        "memory_attention_rope_feat_sizes": [side // 16] * 2,
        **_memory(_HIDDEN),
    }
    model = Sam2VideoModel(Sam2VideoConfig.from_dict(config))
    _keep_seeing(model)
    model.save_pretrained(folder)
    size = {"height": side, "width": side}
    masks = {"height": side // 4, "width": side // 4}
    processor = Sam2VideoProcessor(
        image_processor=Sam2ImageProcessor(size=size, mask_size=masks),
        video_processor=Sam2VideoVideoProcessor(size=size),
    )
    processor.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)
    return folder
