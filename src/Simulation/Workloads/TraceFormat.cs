namespace Krewe.Simulation;

/// <summary>File formats that <see cref="TraceReader"/> knows.</summary>
public enum TraceFormat
{
    /// <summary>JSON lines { timestamp (ms), input_length, output_length, hash_ids } with 512-token blocks.</summary>
    Mooncake,

    /// <summary>
    /// CSV arrival_ms,input_tokens,output_tokens, or the published TIMESTAMP,ContextTokens,GeneratedTokens.
    /// </summary>
    Azure,

    /// <summary>CSV input_tokens,output_tokens without arrivals: they are generated.</summary>
    Pairs,

    /// <summary>JSON lines { arrival_ms, prompt_tokens, output_tokens [, blocks, block_tokens, tenant] }.</summary>
    Krewe,

    /// <summary>ServeGen's CLIENT_rates.csv with CLIENT_lengths.jsonl beside it.</summary>
    ServeGen,
}
