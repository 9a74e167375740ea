namespace Krewe.Models;

/// <summary>
/// One Hugging Face model folder, opened and cross-checked: configuration, tokenizer, chat template, generation
/// defaults and, unless told otherwise, weights. Invariant: every token id that the parts name exists in the tokenizer,
/// and every id that the tokenizer can make has a row in the embedding.
/// </summary>
public sealed class ModelFolder : IDisposable
{
    private readonly Checkpoint? _weights;
    private readonly Lazy<string> _fingerprint;

    private ModelFolder(
        string directory, ModelConfig config, Tokenizer tokenizer, GenerationDefaults defaults, ChatSettings chat,
        Checkpoint? weights)
    {
        Directory = directory;
        Name = Path.GetFileName(directory);
        (Config, Tokenizer, Defaults, _weights) = (config, tokenizer, defaults, weights);
        (ChatTemplate, BosToken, EosToken) = (chat.Template, chat.BosToken, chat.EosToken);
        StopTokenIds = [.. config.EosTokenIds.Union(defaults.EosTokenIds).Order()];
        _fingerprint = new Lazy<string>(ComputeFingerprint);
    }

    /// <summary>The folder's own name, for example <c>tiny</c>.</summary>
    public string Name { get; }

    /// <summary>Absolute path without a trailing separator.</summary>
    public string Directory { get; }

    public ModelConfig Config { get; }

    public Tokenizer Tokenizer { get; }

    /// <summary>Null where the model has none (a base model); chat requests cannot be served then.</summary>
    public ChatTemplate? ChatTemplate { get; }

    /// <summary>Text of the begin token for the template; null where the model names none.</summary>
    public string? BosToken { get; }

    /// <summary>Text of the end token for the template; null where the model names none.</summary>
    public string? EosToken { get; }

    public GenerationDefaults Defaults { get; }

    /// <summary>Ids that end an answer, ascending: eos of config.json and of generation_config.json.</summary>
    public IReadOnlyList<int> StopTokenIds { get; }

    /// <exception cref="InvalidOperationException">The folder was opened without weights.</exception>
    public Checkpoint Weights =>
        _weights ?? throw new InvalidOperationException(
            $"The model folder {Directory} was opened without its weights.");

    /// <summary>Lowercase hexadecimal SHA-256 that tells one model's content from another's; equal on every machine.
    /// Computed at first use, from the weight files even where the folder was opened without weights.</summary>
    public string Fingerprint => _fingerprint.Value;

    /// <summary>Opens and checks the folder.</summary>
    /// <exception cref="ModelException">Something is missing, corrupt or not supported; nothing stays open.</exception>
    public static ModelFolder Open(string directory, bool openWeights = true)
    {
        directory = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        if (!System.IO.Directory.Exists(directory))
            throw new ModelException($"{directory}: the model folder does not exist.");
        var config = ModelConfig.Load(directory);
        var tokenizer = Tokenizer.Load(directory);
        var defaults = GenerationDefaults.Load(directory, config.VocabularySize);
        DemandMatchingTokens(directory, config, defaults, tokenizer);
        var chat = ChatSettings.Load(directory, tokenizer, config);
        return new ModelFolder(
            directory, config, tokenizer, defaults, chat, openWeights ? Checkpoint.Open(directory) : null);
    }

    public void Dispose() => _weights?.Dispose();

    private static void DemandMatchingTokens(
        string directory, ModelConfig config, GenerationDefaults defaults, Tokenizer tokenizer)
    {
        if (tokenizer.VocabularySize > config.VocabularySize)
            throw new ModelException($"{directory}: tokenizer.json has token ids up to {tokenizer.VocabularySize - 1}, "
                + $"the model's vocab_size is {config.VocabularySize}. The tokenizer belongs to another model.");
        foreach (var id in config.EosTokenIds.Concat(defaults.EosTokenIds))
        {
            if (tokenizer.TokenText(id) is null)
                throw new ModelException($"{directory}: the eos_token_id {id} is not a token of tokenizer.json. The "
                    + "tokenizer belongs to another model, or the id is wrong.");
        }
    }

    private string ComputeFingerprint()
    {
        if (_weights is not null)
            return ModelFingerprint.Compute(Directory, _weights);
        using var weights = Checkpoint.Open(Directory);
        return ModelFingerprint.Compute(Directory, weights);
    }
}
