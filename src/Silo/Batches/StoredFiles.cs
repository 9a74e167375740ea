using System.Globalization;
using System.Text;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Silo.Gateway;
using Orleans;

namespace Krewe.Silo.Batches;

/// <summary>Files of the batch API: their grains, and the way to their lines.</summary>
internal sealed class StoredFiles(IGrainFactory grains, Entropy entropy, TimeProvider time)
{
    /// <summary>Characters of one part: what a grain writes at once.</summary>
    public const int PartChars = 1 << 20;

    /// <summary>An anonymous tenant's name is empty, and a grain's key cannot be.</summary>
    public IShelfGrain ShelfOf(string tenant) => grains.GetGrain<IShelfGrain>(tenant.Length > 0 ? tenant : "/");

    public IStoredFileGrain Grain(string fileId) => grains.GetGrain<IStoredFileGrain>(fileId);

    public async Task<StoredFile> CreateAsync(string tenant, string name, string purpose)
    {
        var file = new StoredFile
        {
            FileId = $"file-{entropy.NextId()}",
            Tenant = tenant,
            Name = name,
            Purpose = purpose,
            Bytes = 0,
            CreatedAt = time.GetUtcNow(),
            Parts = 0,
        };
        await Grain(file.FileId).CreateAsync(file);
        return file;
    }

    /// <summary>The tenant's file. Throws NotFound, for another tenant's as well.</summary>
    public async Task<StoredFile> DemandAsync(string fileId, TenantPolicy tenant) =>
        await Grain(fileId).GetAsync() is { } file && file.Tenant == tenant.Name
            ? file
            : throw new KreweException(ErrorCode.NotFound, $"There is no file '{fileId}'; see GET /v1/files.", "id");

    public async Task DeleteAsync(StoredFile file)
    {
        await ShelfOf(file.Tenant).RemoveFileAsync(file.FileId);
        await Grain(file.FileId).DeleteAsync();
    }

    public Task<string> ReadPartAsync(string fileId, int part) => grains.GetGrain<IFilePartGrain>(
        string.Create(CultureInfo.InvariantCulture, $"{fileId}/{part}")).ReadAsync();

    /// <summary>The lines, without their ends.</summary>
    public async IAsyncEnumerable<string> ReadLinesAsync(StoredFile file)
    {
        for (var i = 0; i < file.Parts; i++)
        {
            using var part = new StringReader(await ReadPartAsync(file.FileId, i));
            while (part.ReadLine() is { } line) yield return line;
        }
    }

    /// <summary>
    /// Appends a text of whole lines. Throws <see cref="KreweException"/> when it is not UTF-8, has a line above
    /// <paramref name="lineCharsMax"/>, or is larger than <paramref name="bytesMax"/>.
    /// </summary>
    public async Task<StoredFile> FillAsync(
        StoredFile file, Stream content, long bytesMax, int lineCharsMax, CancellationToken cancellationToken)
    {
        using var reader = new StreamReader(content, new UTF8Encoding(false, throwOnInvalidBytes: true), false);
        var waiting = new StringBuilder();
        var buffer = new char[64 << 10];
        try
        {
            while (true)
            {
                var count = await reader.ReadAsync(buffer, cancellationToken);
                waiting.Append(buffer.AsSpan(0, count));
                if (count > 0 && waiting.Length < PartChars) continue;
                var text = waiting.ToString();
                // A part holds whole lines; the last line of a file needs no end.
                var cut = count == 0 ? text.Length : text.LastIndexOf('\n') + 1;
                if (cut == 0 && text.Length > lineCharsMax) throw TooLarge($"a line above {lineCharsMax} characters");
                if (cut > 0)
                {
                    file = await Grain(file.FileId).AppendAsync(text[..cut], file.Parts)
                        ?? throw new KreweException(ErrorCode.Internal, $"Two write the file {file.FileId}.");
                    waiting.Remove(0, cut);
                }

                if (file.Bytes > bytesMax) throw TooLarge($"more than {bytesMax} bytes");
                if (count == 0) return file;
            }
        }
        catch (DecoderFallbackException e)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, "The file is not UTF-8 text; send JSON lines.", "file", e);
        }
    }

    private static KreweException TooLarge(string what) =>
        new(ErrorCode.RequestTooLarge, $"The file has {what}; split it.", "file");
}
