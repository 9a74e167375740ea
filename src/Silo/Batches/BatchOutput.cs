using System.Text;
using System.Text.Json.Nodes;
using Krewe.Control.Batches;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Batches;

/// <summary>
/// A batch's output or error file while it grows: lines are gathered and written together, and only behind what this
/// run has read or written. So two silos that both take a batch for theirs, one woken from a long pause, cannot write a
/// line twice.
/// </summary>
/// <param name="parts">Of the file that the run has read.</param>
internal sealed class BatchOutput(StoredFiles files, string fileId, int parts)
{
    private readonly Lock _gate = new();
    private int _parts = parts;
    private readonly StringBuilder _waiting = new();

    /// <summary>A request that was answered.</summary>
    /// <param name="body">The answer's or error's JSON object.</param>
    public void Add(BatchLine line, string requestId, int status, byte[] body) => Write(new JsonObject
    {
        ["id"] = $"batch_req_{requestId}",
        ["custom_id"] = line.CustomId,
        ["response"] = new JsonObject
        {
            ["status_code"] = status,
            ["request_id"] = requestId,
            ["body"] = JsonNode.Parse(body),
        },
        ["error"] = null,
    });

    /// <summary>A request that never ran.</summary>
    public void AddUnrun(BatchLine line, string requestId, string code, string message) => Write(new JsonObject
    {
        ["id"] = $"batch_req_{requestId}",
        ["custom_id"] = line.CustomId,
        ["response"] = null,
        ["error"] = new JsonObject { ["code"] = code, ["message"] = message },
    });

    /// <summary>
    /// Everything that was added is durable when it returns. One at a time. False when another run writes the file:
    /// nothing more can be added.
    /// </summary>
    public async Task<bool> TryFlushAsync()
    {
        string text;
        lock (_gate)
        {
            text = _waiting.ToString();
            _waiting.Clear();
        }

        var grain = files.Grain(fileId);
        var file = text.Length == 0 ? await grain.GetAsync() : await grain.AppendAsync(text, _parts);
        if (file is null || (text.Length == 0 && file.Parts != _parts)) return false;
        _parts = file.Parts;
        return true;
    }

    private void Write(JsonObject line)
    {
        var text = Encoding.UTF8.GetString(line.ToBytes());
        lock (_gate) _waiting.Append(text).Append('\n');
    }
}
