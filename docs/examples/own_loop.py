import torch
from own_score import Distance

import nmt
from nmt.core.batch import make_batch, make_source
from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer

german = ["ein Mann schläft", "eine Frau rennt", "ein Hund rennt", "eine Frau schläft"]
english = ["a man sleeps", "a woman runs", "a dog runs", "a woman sleeps"]
tokenizer = WordTrainer(Normalizer())
source, target = tokenizer.train(lambda: iter(german)), tokenizer.train(lambda: iter(english))
batch = make_batch([*map(source.encode, german)], [*map(target.encode, english)])

model = nmt.build_model({"attention": {"score": Distance}}, len(source), len(target))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(50):
    loss = torch.nn.functional.cross_entropy(model(batch).logits.mT, batch.labels, ignore_index=PAD)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

state = model.start(model.eval().encode(*make_source([source.encode("eine Frau rennt")])))
token, tokens = torch.tensor([BOS]), []
while token != EOS:  # greedy search
    log_probabilities, state = model.step(token, state)
    token = log_probabilities.argmax(dim=1)
    tokens.append(token.item())
print(target.decode(tokens))  # a woman runs
