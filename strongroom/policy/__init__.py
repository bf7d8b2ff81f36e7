"""What a wallet may sign: a document with a closed vocabulary, integers only, default deny.

document  what officers sign             lists    recipients with labels, inline or by a Merkle root
rules     what an effect must look like  decide   the judgement of a transaction's effects
history   what was spent before          explain  the document in plain sentences
"""
