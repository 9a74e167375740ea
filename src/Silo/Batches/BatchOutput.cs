using System.Text;
using System.Text.Json.Nodes;
using Krewe.Control.Batches;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Batches;

/// <summary>A batch's output or error file while it grows: lines are gathered and written together.</summary>
internal sealed class BatchOutput(StoredFiles files, string fileId)
{
    private readonly Lock _gate = new();
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

    /// <summary>Everything that was added is durable when it returns. One at a time.</summary>
    public async Task FlushAsync()
    {
        string text;
        lock (_gate)
        {
            if (_waiting.Length == 0) return;
            text = _waiting.ToString();
            _waiting.Clear();
        }

        await files.Grain(fileId).AppendAsync(text);
    }

    private void Write(JsonObject line)
    {
        var text = Encoding.UTF8.GetString(line.ToBytes());
        lock (_gate) _waiting.Append(text).Append('\n');
    }
}
