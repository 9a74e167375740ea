using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Silo.Hosting;

/// <summary>
/// The one model of this cluster as the gateway needs it: name, tokenizer, template, limits; no weights.
/// </summary>
internal sealed class ServedModel : IDisposable
{
    private ServedModel(ModelFolder folder, string name, DateTimeOffset createdAt) =>
        (Folder, Name, CreatedAt) = (folder, name, createdAt);

    public ModelFolder Folder { get; }

    /// <summary>What clients call it.</summary>
    public string Name { get; }

    /// <summary>When config.json was written, UTC: stable over restarts, for the model list.</summary>
    public DateTimeOffset CreatedAt { get; }

    /// <summary>Tokens of prompt and output together.</summary>
    public int MaxContextTokens => Folder.Config.MaxPositions;

    public string Fingerprint => Folder.Fingerprint;

    /// <summary>
    /// Opens the folder. Throws <see cref="KreweException"/> (InvalidModel) that names what is wrong in it.
    /// </summary>
    public static ServedModel Open(SiloOptions options)
    {
        try
        {
            var folder = ModelFolder.Open(options.ModelDirectory, openWeights: false);
            var config = new FileInfo(Path.Combine(folder.Directory, "config.json"));
            var model = new ServedModel(folder, options.ServedModelName ?? folder.Name, config.LastWriteTimeUtc);
            // Computed now: a broken checkpoint must stop the start, not the first worker's hello.
            _ = model.Fingerprint;
            return model;
        }
        catch (Exception e) when (e is ModelException or IOException or UnauthorizedAccessException)
        {
            throw new KreweException(ErrorCode.InvalidModel, e.Message, innerException: e);
        }
    }

    public void Dispose() => Folder.Dispose();
}
