namespace Krewe.Abstractions;

/// <summary>How thoughts are told from the answer of a chat.</summary>
public enum ReasoningParser
{
    /// <summary>As <see cref="Think"/> where the model's chat template mentions these tags.</summary>
    Auto,

    /// <summary>Between &lt;think&gt; and &lt;/think&gt;, at the begin of the output.</summary>
    Think,

    /// <summary>They are not: what the model writes is the answer.</summary>
    None,
}
