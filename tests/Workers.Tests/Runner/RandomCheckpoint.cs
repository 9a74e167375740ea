using System.Buffers.Binary;
using System.Text.Json.Nodes;
using Krewe.Models;

namespace Krewe.Workers.Tests.Runner;

/// <summary>
/// A small random model folder on disk, of any family, with the bundled tokenizer. Sizes are ragged on purpose: no
/// extent is a multiple of a vector.
/// </summary>
internal sealed class RandomCheckpoint : IDisposable
{
    private const int Vocabulary = 1030;
    private const int Hidden = 52;
    private const int Intermediate = 75;
    private const int Layers = 2;
    private const int Heads = 6;
    private const int KvHeads = 2;
    private const int HeadDim = 20;

    private readonly DirectoryInfo _folder = System.IO.Directory.CreateTempSubdirectory("krewe-random-model-");
    private readonly Random _random = new(17);
    private readonly JsonObject _header = [];
    private readonly MemoryStream _data = new();

    /// <param name="architecture">For instance LlamaForCausalLM.</param>
    /// <param name="type">F32, F16 or BF16.</param>
    /// <param name="changes">Fields of config.json to set.</param>
    /// <param name="broken">Name of a tensor that is filled with NaN.</param>
    /// <param name="shards">Files that the tensors are dealt to; one has no index.</param>
    /// <param name="brokenRow">Of that tensor, the only row that is; null = all.</param>
    public RandomCheckpoint(
        string architecture, string type, JsonObject? changes = null, string? broken = null, int shards = 1,
        int? brokenRow = null)
    {
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray(architecture),
            ["vocab_size"] = Vocabulary,
            ["hidden_size"] = Hidden,
            ["intermediate_size"] = Intermediate,
            ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KvHeads,
            ["head_dim"] = HeadDim,
            ["max_position_embeddings"] = 4096,
            ["rms_norm_eps"] = 1e-5,
            ["eos_token_id"] = 1020,
            ["torch_dtype"] = type switch { "F32" => "float32", "F16" => "float16", _ => "bfloat16" },
        };
        foreach (var (name, value) in changes ?? [])
            config[name] = value?.DeepClone();
        AddTensors(architecture, type, config["tie_word_embeddings"]?.GetValue<bool>() == true, broken, brokenRow);
        WriteFiles(shards);
        File.WriteAllText(Path.Combine(_folder.FullName, "config.json"), config.ToJsonString());
        foreach (var name in new[] { "tokenizer.json", "tokenizer_config.json" })
            File.Copy(Path.Combine(TinyModel.Directory, name), Path.Combine(_folder.FullName, name));
    }

    public ModelFolder Open() => ModelFolder.Open(_folder.FullName);

    public void Dispose()
    {
        _data.Dispose();
        _folder.Delete(recursive: true);
    }

    private void AddTensors(string architecture, string type, bool tied, string? broken, int? brokenRow)
    {
        Add("model.embed_tokens.weight", 1, Vocabulary, Hidden);
        Add("model.norm.weight", 1, Hidden);
        if (!tied) Add("lm_head.weight", 3, Vocabulary, Hidden);
        for (var layer = 0; layer < Layers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            Add(prefix + "input_layernorm.weight", 1, Hidden);
            Add(prefix + "post_attention_layernorm.weight", 1, Hidden);
            foreach (var (name, heads) in new[] { ("q", Heads), ("k", KvHeads), ("v", KvHeads) })
            {
                Add($"{prefix}self_attn.{name}_proj.weight", 1, heads * HeadDim, Hidden);
                if (architecture.StartsWith("Qwen2", StringComparison.Ordinal))
                    Add($"{prefix}self_attn.{name}_proj.bias", 0.5, heads * HeadDim);
            }

            if (architecture.StartsWith("Qwen3", StringComparison.Ordinal))
            {
                Add(prefix + "self_attn.q_norm.weight", 1, HeadDim);
                Add(prefix + "self_attn.k_norm.weight", 1, HeadDim);
            }

            Add(prefix + "self_attn.o_proj.weight", 1, Hidden, Heads * HeadDim);
            Add(prefix + "mlp.gate_proj.weight", 1, Intermediate, Hidden);
            Add(prefix + "mlp.up_proj.weight", 1, Intermediate, Hidden);
            Add(prefix + "mlp.down_proj.weight", 1, Hidden, Intermediate);
        }

        void Add(string name, double scale, params int[] shape)
        {
            var start = _data.Length;
            var fanIn = shape.Length == 1 || name.Contains("embed", StringComparison.Ordinal) ? 1 : shape[^1];
            for (var i = 0; i < shape.Aggregate((a, b) => a * b); i++)
            {
                var isBroken = name == broken && (brokenRow is null || i / shape[^1] == brokenRow);
                var value = isBroken ? double.NaN : Gaussian() * scale / Math.Sqrt(fanIn);
                Write((float)value, type);
            }

            _header[name] = new JsonObject
            {
                ["dtype"] = type,
                ["shape"] = new JsonArray([.. shape.Select(extent => JsonValue.Create(extent))]),
                ["data_offsets"] = new JsonArray(start, _data.Length),
            };
        }
    }

    private void WriteFiles(int shards)
    {
        var map = new JsonObject();
        for (var shard = 0; shard < shards; shard++)
        {
            var name = shards == 1 ? "model.safetensors" : $"model-{shard + 1:D5}-of-{shards:D5}.safetensors";
            var members = _header.Where((_, i) => i % shards == shard).ToList();
            foreach (var (tensor, _) in members) map[tensor] = name;
            WriteFile(name, members);
        }

        if (shards == 1) return;
        var index = new JsonObject { ["weight_map"] = map };
        File.WriteAllText(Path.Combine(_folder.FullName, "model.safetensors.index.json"), index.ToJsonString());
    }

    private void WriteFile(string name, List<KeyValuePair<string, JsonNode?>> tensors)
    {
        var (own, data) = (new JsonObject(), new MemoryStream());
        foreach (var (tensor, entry) in tensors)
        {
            var offsets = entry!["data_offsets"]!.AsArray().Select(offset => (int)offset!.GetValue<long>()).ToArray();
            var moved = entry.DeepClone();
            moved["data_offsets"] = new JsonArray(data.Length, data.Length + offsets[1] - offsets[0]);
            data.Write(_data.GetBuffer(), offsets[0], offsets[1] - offsets[0]);
            own[tensor] = moved;
        }

        var header = System.Text.Encoding.UTF8.GetBytes(own.ToJsonString());
        using var file = File.Create(Path.Combine(_folder.FullName, name));
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        file.Write(length);
        file.Write(header);
        data.WriteTo(file);
    }

    private double Gaussian() =>
        Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());

    private void Write(float value, string type) => _data.Write(type switch
    {
        "F32" => BitConverter.GetBytes(value),
        "F16" => BitConverter.GetBytes((Half)value),
        _ => BitConverter.GetBytes(Krewe.Kernels.KvNumber.ToBrain(value)),
    });
}
