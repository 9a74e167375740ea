namespace Krewe.Models.Tests;

public sealed class ModelFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ModelFolderTests()
    {
        foreach (var file in Directory.GetFiles(TestFiles.TinyModel))
            File.Copy(file, Path.Combine(_folder.FullPath, Path.GetFileName(file)));
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_bundled_model_opens_with_everything_that_serving_needs()
    {
        using var model = ModelFolder.Open(TestFiles.TinyModel + Path.DirectorySeparatorChar);
        Assert.Equal("tiny", model.Name);
        Assert.Equal(TestFiles.TinyModel, model.Directory);
        Assert.Equal([1020], model.StopTokenIds);
        Assert.Equal(("<|begin|>", "<|end|>"), (model.BosToken, model.EosToken));
        Assert.Equal(model.Config.VocabularySize, model.Tokenizer.VocabularySize);
        Assert.Equal(
            "<|begin|><|user|>Hello<|end|><|assistant|>",
            model.ChatTemplate!.Render(
                new ChatTemplateInput { Messages = [new("user", "Hello")], BosToken = model.BosToken }));
        // Every weight that a Llama of this shape needs is there, in the shape that config.json says.
        var (config, weights) = (model.Config, model.Weights);
        weights.Get("model.embed_tokens.weight", config.VocabularySize, config.HiddenSize);
        weights.Get("lm_head.weight", config.VocabularySize, config.HiddenSize);
        for (var layer = 0; layer < config.Layers; layer++)
        {
            weights.Get($"model.layers.{layer}.self_attn.q_proj.weight", config.Heads * config.HeadDim,
                config.HiddenSize);
            weights.Get($"model.layers.{layer}.mlp.down_proj.weight", config.HiddenSize, config.IntermediateSize);
        }
    }

    [Fact]
    public void The_fingerprint_is_the_contents_and_not_the_places()
    {
        using var original = ModelFolder.Open(TestFiles.TinyModel);
        using var copy = ModelFolder.Open(_folder.FullPath, openWeights: false);
        Assert.Matches("^[0-9a-f]{64}$", original.Fingerprint);
        Assert.Equal(original.Fingerprint, copy.Fingerprint);
    }

    [Theory]
    [InlineData("config.json", 5)]
    [InlineData("tokenizer.json", 20)]
    [InlineData("model.safetensors", 6_562_380)]
    public void The_fingerprint_changes_with_any_part_of_the_model(string file, int position)
    {
        using var original = ModelFolder.Open(TestFiles.TinyModel, openWeights: false);
        var path = Path.Combine(_folder.FullPath, file);
        var bytes = File.ReadAllBytes(path);
        if (file.EndsWith(".json", StringComparison.Ordinal))
            bytes = [.. bytes, (byte)'\n'];
        else
            bytes[position] ^= 1;
        File.WriteAllBytes(path, bytes);
        using var changed = ModelFolder.Open(_folder.FullPath);
        Assert.NotEqual(original.Fingerprint, changed.Fingerprint);
    }

    [Fact]
    public void Weights_of_a_folder_opened_without_them_are_refused()
    {
        using var model = ModelFolder.Open(_folder.FullPath, openWeights: false);
        Assert.Throws<InvalidOperationException>(() => model.Weights);
    }

    [Fact]
    public void A_template_file_wins_over_the_configuration_and_a_list_has_a_default()
    {
        _folder.Write("tokenizer_config.json",
            """
            {"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}],
             "bos_token":{"content":"<|begin|>"}}
            """);
        Assert.Equal("D", Render());
        _folder.Write("chat_template.jinja", "F{{ bos_token }}");
        Assert.Equal("F<|begin|>", Render());
    }

    [Fact]
    public void A_folder_without_a_template_has_none()
    {
        File.Delete(Path.Combine(_folder.FullPath, "tokenizer_config.json"));
        using var model = ModelFolder.Open(_folder.FullPath, openWeights: false);
        Assert.Null(model.ChatTemplate);
        Assert.Equal(("<|begin|>", "<|end|>"), (model.BosToken, model.EosToken));
    }

    [Theory]
    [InlineData("tokenizer_config.json", "{\"chat_template\":\"{% if %}\"}", "chat_template")]
    [InlineData("tokenizer_config.json", "{\"chat_template\":[{\"name\":\"x\",\"template\":\"\"}]}", "named default")]
    [InlineData("tokenizer_config.json", "{\"bos_token\":\"<nope>\"}", "<nope>")]
    [InlineData("generation_config.json", "{\"eos_token_id\":1024}", "eos_token_id")]
    public void A_wrong_part_is_named(string file, string text, string part)
    {
        _folder.Write(file, text);
        Assert.Contains(part, Message(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_tokenizer_of_another_model_is_refused()
    {
        var config = File.ReadAllText(Path.Combine(_folder.FullPath, "config.json"));
        _folder.Write(
            "config.json", config.Replace("\"vocab_size\": 1024", "\"vocab_size\": 1023", StringComparison.Ordinal));
        Assert.Contains("token ids up to 1023", Message(), StringComparison.Ordinal);
        _folder.Write("config.json", config
            .Replace("\"vocab_size\": 1024", "\"vocab_size\": 2000", StringComparison.Ordinal)
            .Replace("\"eos_token_id\": 1020", "\"eos_token_id\": 1500", StringComparison.Ordinal));
        Assert.Contains("eos_token_id 1500 is not a token", Message(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_does_not_exist_is_named() =>
        Assert.Contains("nowhere: the model folder does not exist",
            Assert.Throws<ModelException>(() => ModelFolder.Open("nowhere")).Message, StringComparison.Ordinal);

    private string Message() =>
        Assert.Throws<ModelException>(() => ModelFolder.Open(_folder.FullPath, openWeights: false)).Message;

    private string Render()
    {
        using var model = ModelFolder.Open(_folder.FullPath, openWeights: false);
        return model.ChatTemplate!.Render(new ChatTemplateInput { Messages = [], BosToken = model.BosToken });
    }
}
