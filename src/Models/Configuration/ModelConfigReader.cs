namespace Krewe.Models;

/// <summary>
/// config.json to <see cref="ModelConfig"/>. A field that would change the arithmetic and is not implemented is refused
/// by name; fields that only concern training or other libraries are ignored.
/// </summary>
internal static class ModelConfigReader
{
    /// <summary>Bounds that no real model comes near; they keep later products of sizes within a long.</summary>
    private const int ExtentMax = 1 << 24;

    private const int LayersMax = 4096;

    private static readonly Dictionary<string, string> ModelTypeOf = new(StringComparer.Ordinal)
    {
        ["LlamaForCausalLM"] = "llama",
        ["MistralForCausalLM"] = "mistral",
        ["Qwen2ForCausalLM"] = "qwen2",
        ["Qwen3ForCausalLM"] = "qwen3",
    };

    // What other variants of these families add; each changes what the layers compute.
    private static readonly string[] RefusedFields =
    [
        "quantization_config", "compression_config", "num_experts", "num_local_experts", "vision_config",
        "logits_scaling", "logit_scale", "final_logit_softcapping", "attn_logit_softcapping", "embedding_multiplier",
        "residual_multiplier", "attention_multiplier", "attention_chunk_size", "rope_local_base_freq", "clip_qkv",
        "no_rope_layers", "kv_lora_rank",
    ];

    // The same, where false says that the variant is not used.
    private static readonly string[] RefusedFlags =
        ["mlp_bias", "qk_layernorm", "use_qk_norm", "alibi", "parallel_attn", "attn_temperature_tuning"];

    public static ModelConfig Read(JsonField config)
    {
        var architecture = ReadArchitecture(config);
        var modelType = config.Optional("model_type")?.AsString() ?? ModelTypeOf[architecture];
        if (modelType != ModelTypeOf[architecture])
            throw config.Error($"\"model_type\" is \"{modelType}\", the architecture {architecture} asks for "
                + $"\"{ModelTypeOf[architecture]}\"");
        RefuseUnsupported(config, architecture);

        var heads = config.Required("num_attention_heads").AsInt(1, ExtentMax);
        var hiddenSize = config.Required("hidden_size").AsInt(1, ExtentMax);
        var layers = config.Required("num_hidden_layers").AsInt(1, LayersMax);
        var maxPositions = config.Required("max_position_embeddings").AsInt(min: 1);
        var vocabularySize = config.Required("vocab_size").AsInt(1, ExtentMax);
        var result = new ModelConfig
        {
            Architecture = architecture,
            ModelType = modelType,
            VocabularySize = vocabularySize,
            HiddenSize = hiddenSize,
            IntermediateSize = config.Required("intermediate_size").AsInt(1, ExtentMax),
            Layers = layers,
            Heads = heads,
            KvHeads = config.Optional("num_key_value_heads")?.AsInt(1, ExtentMax) ?? heads,
            HeadDim = ReadHeadDim(config, architecture, hiddenSize, heads),
            MaxPositions = maxPositions,
            RmsNormEps = (float)(config.Optional("rms_norm_eps")?.AsDouble() ?? 1e-6),
            Rope = RopeReader.Read(config, maxPositions),
            TieEmbeddings = config.Optional("tie_word_embeddings")?.AsBool() ?? false,
            AttentionBias = architecture == "Qwen2ForCausalLM",
            QkNorm = architecture == "Qwen3ForCausalLM",
            SlidingWindow = ReadSlidingWindow(config, architecture, layers),
            BosTokenId = config.Optional("bos_token_id")?.AsInt(0, vocabularySize - 1),
            EosTokenIds = ReadTokenIds(config.Optional("eos_token_id"), vocabularySize),
            WeightType = ReadWeightType(config),
        };
        if (result.Heads % result.KvHeads != 0)
            throw config.Error($"\"num_attention_heads\" ({result.Heads}) must be a multiple of "
                + $"\"num_key_value_heads\" ({result.KvHeads})");
        if (result.RmsNormEps <= 0)
            throw config.Error("\"rms_norm_eps\" must be positive");
        return result;
    }

    /// <summary>One id, a list of ids, or nothing.</summary>
    public static IReadOnlyList<int> ReadTokenIds(JsonField? field, int vocabularySize)
    {
        if (field is not { } ids)
            return [];
        return ids.Value.ValueKind == System.Text.Json.JsonValueKind.Array
            ? [.. ids.Items().Select(id => id.AsInt(0, vocabularySize - 1))]
            : [ids.AsInt(0, vocabularySize - 1)];
    }

    private static string ReadArchitecture(JsonField config)
    {
        var architecture = config.Required("architectures").Items().FirstOrDefault();
        if (architecture.Value.ValueKind == System.Text.Json.JsonValueKind.Undefined)
            throw config.Error("\"architectures\" is empty");
        return ModelTypeOf.ContainsKey(architecture.AsString())
            ? architecture.AsString()
            : throw config.Error($"the architecture {architecture.AsString()} is not supported; supported are "
                + string.Join(", ", ModelTypeOf.Keys));
    }

    private static void RefuseUnsupported(JsonField config, string architecture)
    {
        foreach (var name in RefusedFields)
        {
            if (config.Optional(name) is not null)
                throw config.Error($"\"{name}\" is not supported; use a checkpoint without it");
        }

        if (config.Optional("hidden_act") is { } activation && activation.AsString() is not ("silu" or "swish"))
            throw activation.Error($"\"hidden_act\" is \"{activation.AsString()}\"; only silu is supported");
        foreach (var name in RefusedFlags)
        {
            if (config.Optional(name)?.AsBool() == true)
                throw config.Error($"\"{name}\" true is not supported; use a checkpoint without it");
        }

        // Elsewhere the flag also adds a bias to the output projection; Qwen2 has its own fixed rule and no such flag.
        if (architecture != "Qwen2ForCausalLM" && config.Optional("attention_bias")?.AsBool() == true)
            throw config.Error($"\"attention_bias\" true is not supported for {architecture}");
        if (config.Optional("partial_rotary_factor") is { } partial && partial.AsDouble() != 1)
            throw partial.Error("\"partial_rotary_factor\" other than 1 is not supported");
    }

    private static int ReadHeadDim(JsonField config, string architecture, int hiddenSize, int heads)
    {
        var headDim = config.Optional("head_dim")?.AsInt(1, ExtentMax);
        if (headDim is null && architecture == "Qwen3ForCausalLM")
            headDim = 128;
        if (headDim is null && hiddenSize % heads != 0)
            throw config.Error($"\"hidden_size\" ({hiddenSize}) is not a multiple of \"num_attention_heads\" ({heads}) "
                + "and \"head_dim\" is not given");
        var result = headDim ?? hiddenSize / heads;
        return result % 2 == 0
            ? result
            : throw config.Error($"the head dimension {result} is odd; rotary embedding needs pairs");
    }

    private static int? ReadSlidingWindow(JsonField config, string architecture, int layers)
    {
        var window = config.Optional("sliding_window")?.AsInt(min: 1);
        // Llama has no window; the Qwens ignore theirs unless asked for, and then use it from one layer upwards.
        var applies = architecture switch
        {
            "MistralForCausalLM" => true,
            "LlamaForCausalLM" => false,
            _ => config.Optional("use_sliding_window")?.AsBool() ?? false,
        };
        if (config.Optional("layer_types") is { } types)
            return SameForAllLayers(types, layers) == "sliding_attention" ? window : null;
        if (!applies || window is null || architecture == "MistralForCausalLM")
            return applies ? window : null;
        var firstWindowed = config.Optional("max_window_layers")?.AsInt(min: 0) ?? layers;
        if (firstWindowed >= layers)
            return null;
        return firstWindowed == 0
            ? window
            : throw config.Error($"\"max_window_layers\" is {firstWindowed} of {layers} layers; a window on a part of "
                + "the layers is not supported");
    }

    private static string SameForAllLayers(JsonField types, int layers)
    {
        var kinds = types.Items().Select(kind => kind.AsString()).ToList();
        if (kinds.Count != layers)
            throw types.Error($"\"layer_types\" has {kinds.Count} entries for {layers} layers");
        if (kinds.Distinct().Count() > 1 || kinds[0] is not ("full_attention" or "sliding_attention"))
            throw types.Error("\"layer_types\" must be full_attention or sliding_attention for all layers alike");
        return kinds[0];
    }

    private static DType ReadWeightType(JsonField config)
    {
        var field = config.Optional("dtype") ?? config.Optional("torch_dtype");
        return field?.AsString() switch
        {
            null or "float32" => DType.F32,
            "float16" => DType.F16,
            "bfloat16" => DType.BF16,
            var other => throw field.Value.Error(
                $"\"{field.Value.Path}\" is \"{other}\"; supported are float32, float16 "
                + "and bfloat16"),
        };
    }
}
