using System.Text.Json.Serialization;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>What <c>krewe model info</c> tells of a model folder.</summary>
internal sealed record ModelSummary
{
    public required string Name { get; init; }

    public required string Folder { get; init; }

    public required string Architecture { get; init; }

    public required long Parameters { get; init; }

    public required int Tensors { get; init; }

    public required string WeightFormat { get; init; }

    public required long WeightBytes { get; init; }

    public required int Layers { get; init; }

    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    public required int Heads { get; init; }

    public required int KvHeads { get; init; }

    public required int HeadDim { get; init; }

    public required int VocabularySize { get; init; }

    public required int TokenizerSize { get; init; }

    public required int MaxContextTokens { get; init; }

    /// <summary>K and V of all layers in the checkpoint's format, in bytes.</summary>
    public required long KvBytesPerToken { get; init; }

    public required bool HasChatTemplate { get; init; }

    public required IReadOnlyList<int> StopTokenIds { get; init; }

    public required string Fingerprint { get; init; }

    public static ModelSummary Of(ModelFolder model)
    {
        var tensors = model.Weights.Names.Select(name => model.Weights.Get(name)).ToArray();
        var config = model.Config;
        var elementBytes = config.WeightType == DType.F32 ? 4L : 2L;
        return new ModelSummary
        {
            Name = model.Name,
            Folder = model.Directory,
            Architecture = config.Architecture,
            Parameters = tensors.Sum(tensor => tensor.ElementCount),
            Tensors = tensors.Length,
            WeightFormat = string.Join(" + ", tensors.Select(tensor => tensor.Type).Distinct().Order()),
            WeightBytes = tensors.Sum(tensor => tensor.ByteCount),
            Layers = config.Layers,
            HiddenSize = config.HiddenSize,
            IntermediateSize = config.IntermediateSize,
            Heads = config.Heads,
            KvHeads = config.KvHeads,
            HeadDim = config.HeadDim,
            VocabularySize = config.VocabularySize,
            TokenizerSize = model.Tokenizer.VocabularySize,
            MaxContextTokens = config.MaxPositions,
            KvBytesPerToken = 2L * config.Layers * config.KvHeads * config.HeadDim * elementBytes,
            HasChatTemplate = model.ChatTemplate is not null,
            StopTokenIds = model.StopTokenIds,
            Fingerprint = model.Fingerprint,
        };
    }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ModelSummary))]
internal sealed partial class ModelJson : JsonSerializerContext;
