namespace Krewe.Control.Access;

/// <summary>What a key's holder may do. None contains another, except that an admin may do everything.</summary>
[Flags]
public enum AccessRoles
{
    None = 0,

    /// <summary>Generate, tokenize, files and batches: the OpenAI API, for the key's own tenant.</summary>
    Inference = 1,

    /// <summary>See the cluster, its dashboard and metrics; move requests, empty and stop workers.</summary>
    Operator = 2,

    /// <summary>Everything, the list of keys included.</summary>
    Admin = 4 | Inference | Operator,
}
